/* Merged /usr: /bin, /sbin and /lib* are links to the same names below /usr. A package may name a
 * file either way; the kernel's path names the place below /usr. */
#ifndef AGENT_INSPECTOR_MERGED_USR_H
#define AGENT_INSPECTOR_MERGED_USR_H

/* What is to be put before path (absolute) to have its place on a merged system: "/usr" or "". */
const char *merged_usr_prefix(const char *path);

#endif
