/* Open redirects: an answer that sends the browser to another host, which the request named. */
#ifndef APPLICATION_DETECTION_REDIRECT_CHECK_H
#define APPLICATION_DETECTION_REDIRECT_CHECK_H

#include "application/detection/judgement.h"

/* response: the function's answer in the proxy format of API Gateway or a load balancer. */
void redirect_check(struct judgement *judgement, struct span response);

#endif
