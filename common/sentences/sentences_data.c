/* Carries sentences.ja.json in the program. */
extern const char sentences_ja_begin[], sentences_ja_end[];

__asm__(".section .rodata\n"
        ".global sentences_ja_begin\n"
        ".hidden sentences_ja_begin\n"
        ".global sentences_ja_end\n"
        ".hidden sentences_ja_end\n"
        "sentences_ja_begin:\n"
        ".incbin \"" YAGURA_SENTENCES_JA_FILE "\"\n"
        "sentences_ja_end:\n"
        ".byte 0\n"
        ".previous\n");
