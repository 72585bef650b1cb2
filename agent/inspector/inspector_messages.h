/* What the responder asks yagura-inspector, and the answer. */
#ifndef AGENT_INSPECTOR_INSPECTOR_MESSAGES_H
#define AGENT_INSPECTOR_INSPECTOR_MESSAGES_H

#define PACKAGE_TEXT_BYTES 256 /* of a package's name; what is longer is cut */

enum inspector_message {
    INSPECTOR_QUESTION = 1, /* bytes path; descriptor of the content */
    INSPECTOR_ANSWER = 2,   /* u32 inspector_answer, text package */
};

/* Same order as enum package_answer of agent/respond/package_owner.h. */
enum inspector_answer {
    INSPECTOR_NONE,
    INSPECTOR_UNCHANGED,
    INSPECTOR_CHANGED,
    INSPECTOR_FAILED,
};

#endif
