/* Owns hashing of passwords. Must not know users. */
#include "console/people/password.h"

#include "common/crypto/random.h"

#include <argon2.h>
#include <errno.h>
#include <pthread.h>

#define MEMORY_KIB   65536
#define PASSES       3
#define LANES        1
#define SALT_BYTES   16
#define HASH_BYTES   32
#define MOST_AT_ONCE 2

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t room = PTHREAD_COND_INITIALIZER;
static unsigned running;

static void enter(void)
{
    (void)pthread_mutex_lock(&lock);
    while (running == MOST_AT_ONCE)
        (void)pthread_cond_wait(&room, &lock);
    running++;
    (void)pthread_mutex_unlock(&lock);
}

static void leave(void)
{
    (void)pthread_mutex_lock(&lock);
    running--;
    (void)pthread_cond_signal(&room);
    (void)pthread_mutex_unlock(&lock);
}

int password_hash(const char *password, char ret_hash[static PASSWORD_HASH_BYTES])
{
    uint8_t salt[SALT_BYTES];
    int r = random_bytes(salt, sizeof(salt));
    if (r < 0)
        return r;
    enter();
    int code = argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, password, strlen(password), salt,
                                     sizeof(salt), HASH_BYTES, ret_hash, PASSWORD_HASH_BYTES);
    leave();
    return code == ARGON2_OK ? 0 : code == ARGON2_MEMORY_ALLOCATION_ERROR ? -ENOMEM : -EIO;
}

bool password_matches(const char *password, const char *hash)
{
    if (!hash) {
        char ignored[PASSWORD_HASH_BYTES];
        return password_hash(password, ignored) > 0; /* never: it is 0 or an error */
    }
    enter();
    int code = argon2id_verify(hash, password, strlen(password));
    leave();
    return code == ARGON2_OK;
}

int password_new(char ret_password[static PASSWORD_NEW_BYTES])
{
    /* No letters that look alike; 57 of them, taken without bias. */
    static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    size_t filled = 0;
    while (filled < PASSWORD_NEW_BYTES - 1) {
        uint8_t byte;
        int r = random_bytes(&byte, 1);
        if (r < 0)
            return r;
        if (byte < 256 / (sizeof(letters) - 1) * (sizeof(letters) - 1))
            ret_password[filled++] = letters[byte % (sizeof(letters) - 1)];
    }
    ret_password[filled] = '\0';
    return 0;
}
