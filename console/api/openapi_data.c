/* Carries console/api/openapi.json in the program. */
extern const char openapi_begin[], openapi_end[];

__asm__(".section .rodata\n"
        ".global openapi_begin\n"
        ".hidden openapi_begin\n"
        ".global openapi_end\n"
        ".hidden openapi_end\n"
        "openapi_begin:\n"
        ".incbin \"" YAGURA_OPENAPI_FILE "\"\n"
        "openapi_end:\n"
        ".byte 0\n"
        ".previous\n");
