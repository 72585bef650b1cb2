/* GraphQL queries: their skeleton is code that looks like other code, what an attacker controls are
 * the texts in it. Source: GraphQL specification, October 2021, sections 2 and 4. */
#ifndef APPLICATION_DETECTION_GRAPHQL_H
#define APPLICATION_DETECTION_GRAPHQL_H

#include "application/detection/judgement.h"

/* Where an argument of the body is a GraphQL query, replaces it by the texts in it, and holds it
 * against the policy's limits. */
void graphql_check(struct judgement *judgement);

#endif
