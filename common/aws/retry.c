/* Repetition. Owns the bucket. */
#include "common/aws/retry.h"

#include "common/crypto/random.h"

#define COST         5
#define TIMEOUT_COST 10
#define REWARD       1

struct aws_retry aws_retry_begin(void)
{
    return (struct aws_retry){.tokens = AWS_RETRY_TOKENS};
}

static bool is_transient(enum aws_outcome outcome)
{
    return outcome == AWS_UNREACHABLE || outcome == AWS_THROTTLED || outcome == AWS_UNAVAILABLE;
}

/* Without randomness the middle. */
static uint64_t random_up_to(uint64_t most)
{
    uint64_t value;

    return random_bytes(&value, sizeof value) < 0 ? most / 2 : value % (most + 1);
}

bool aws_retry_again(struct aws_retry *retry, enum aws_outcome outcome, unsigned attempt,
                     uint64_t retry_after_ns, uint64_t *ret_delay_ns)
{
    enum { MOST_DOUBLINGS = 6 };
    unsigned cost = outcome == AWS_UNREACHABLE ? TIMEOUT_COST : COST;
    unsigned doublings = attempt > 0 ? MIN(attempt - 1, (unsigned)MOST_DOUBLINGS) : 0;

    if (!is_transient(outcome) || retry->tokens < cost)
        return false;
    retry->tokens -= cost;
    uint64_t most = MIN(AWS_RETRY_FIRST_NS << doublings, AWS_RETRY_LONGEST_NS);
    *ret_delay_ns = MIN(retry_after_ns, AWS_RETRY_LONGEST_NS) + random_up_to(most);
    return true;
}

void aws_retry_succeeded(struct aws_retry *retry, unsigned repetitions)
{
    unsigned back = repetitions > 0 ? COST : REWARD;

    retry->tokens = MIN(retry->tokens + back, (unsigned)AWS_RETRY_TOKENS);
}
