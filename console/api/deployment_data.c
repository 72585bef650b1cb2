/* Carries installer/deployment.sh in the program. */
extern const char deployment_begin[], deployment_end[];

__asm__(".section .rodata\n"
        ".global deployment_begin\n"
        ".hidden deployment_begin\n"
        ".global deployment_end\n"
        ".hidden deployment_end\n"
        "deployment_begin:\n"
        ".incbin \"" YAGURA_DEPLOYMENT_FILE "\"\n"
        "deployment_end:\n"
        ".byte 0\n"
        ".previous\n");
