#include "application/detection/dispositions.h"

static const struct disposition_entry entries[] = {
    {910000, 912999, DISPOSITION_LEFT_OUT,
     "reputation, methods and request rates: API Gateway's routes and throttling decide these"},
    {920000, 920999, DISPOSITION_LEFT_OUT,
     "protocol enforcement: the gateway has parsed the request, and events lack what these ask for"},
    {920220, 920271, DISPOSITION_AS_IS, "abuse of encodings reaches the function as it was sent"},
    {949000, 949999, DISPOSITION_LEFT_OUT, "the policy's threshold decides"},
};

const struct disposition_entry *disposition_entries(size_t *ret_count)
{
    *ret_count = sizeof(entries) / sizeof(entries[0]);
    return entries;
}

enum disposition disposition_of(uint32_t rule)
{
    enum disposition disposition = DISPOSITION_AS_IS;
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        if (rule >= entries[i].first_rule && rule <= entries[i].last_rule)
            disposition = entries[i].disposition;
    }
    return disposition;
}
