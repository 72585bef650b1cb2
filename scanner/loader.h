/* The loader process: confines itself, loads the engine, forks workers when told to. */
#ifndef SCANNER_LOADER_H
#define SCANNER_LOADER_H

/* Serves the client at the other end of socket until it closes. The program's exit status. */
int loader_run(int socket);

#endif
