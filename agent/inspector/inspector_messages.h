/* What yagura-agent asks yagura-inspector, and the answers. */
#ifndef AGENT_INSPECTOR_INSPECTOR_MESSAGES_H
#define AGENT_INSPECTOR_INSPECTOR_MESSAGES_H

#define PACKAGE_TEXT_BYTES 256 /* of a package's name; what is longer is cut */

enum inspector_message {
    INSPECTOR_QUESTION = 1, /* bytes path; descriptor of the content */
    INSPECTOR_ANSWER = 2,   /* u32 inspector_answer, text package */
    /* Two texts to be compared, one after the other; then the answer. */
    INSPECTOR_TEXT_BEFORE = 3, /* descriptor of the content */
    INSPECTOR_TEXT_AFTER = 4,  /* the same */
    INSPECTOR_DIFFERENCE = 5,  /* u32 inspector_difference, bytes: lines, escaped */
};

enum inspector_difference {
    INSPECTOR_LINES,     /* the lines that differ */
    INSPECTOR_NO_TEXT,   /* one of them is binary */
    INSPECTOR_TOO_LARGE, /* one of them is too long to be compared */
};

/* Same order as enum package_answer of agent/respond/package_owner.h. */
enum inspector_answer {
    INSPECTOR_NONE,
    INSPECTOR_UNCHANGED,
    INSPECTOR_CHANGED,
    INSPECTOR_FAILED,
};

#endif
