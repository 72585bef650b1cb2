# Who is told of malicious objects: a signed webhook, Security Hub.

resource "aws_sqs_queue" "notice_dead_letters" {
  count                     = local.has_notices
  name                      = "${var.name}-notices-dead-letters"
  message_retention_seconds = 1209600
  kms_master_key_id         = local.key
  sqs_managed_sse_enabled   = local.key == null ? true : null
}

resource "aws_sqs_queue" "notices" {
  count                      = local.has_notices
  name                       = "${var.name}-notices"
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 360
  kms_master_key_id          = local.key
  sqs_managed_sse_enabled    = local.key == null ? true : null
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.notice_dead_letters[0].arn, maxReceiveCount = 5 })
}

data "aws_iam_policy_document" "notices_queue" {
  count = local.has_notices

  statement {
    sid       = "Topic"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.notices[0].arn, aws_sqs_queue.notice_dead_letters[0].arn]

    principals {
      type        = "Service"
      identifiers = ["sns.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_sns_topic.results.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "notices" {
  for_each  = local.has_notices == 0 ? {} : { queue = aws_sqs_queue.notices[0].url, dead_letters = aws_sqs_queue.notice_dead_letters[0].url }
  queue_url = each.value
  policy    = data.aws_iam_policy_document.notices_queue[0].json
}

resource "aws_sns_topic_subscription" "notices" {
  count          = local.has_notices
  topic_arn      = aws_sns_topic.results.arn
  protocol       = "sqs"
  endpoint       = aws_sqs_queue.notices[0].arn
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.notice_dead_letters[0].arn })
  filter_policy  = jsonencode({ type = ["scan-result"], verdict = ["infected"] })
  depends_on     = [aws_sqs_queue_policy.notices]
}

resource "aws_iam_role" "notices" {
  count                = local.has_notices
  name_prefix          = "yagura-notices-"
  assume_role_policy   = data.aws_iam_policy_document.lambda.json
  permissions_boundary = local.boundary
}

data "aws_iam_policy_document" "notices" {
  count                   = local.has_notices
  source_policy_documents = [data.aws_iam_policy_document.common.json]

  statement {
    sid       = "Take"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.notices[0].arn]
  }

  dynamic "statement" {
    for_each = var.webhook_secret_parameter == "" ? [] : [var.webhook_secret_parameter]
    content {
      sid       = "Secret"
      actions   = ["ssm:GetParameter"]
      resources = ["arn:${local.partition}:ssm:${local.region}:${local.account}:parameter${statement.value}"]
    }
  }

  dynamic "statement" {
    for_each = var.security_hub ? [1] : []
    content {
      sid       = "Findings"
      actions   = ["securityhub:BatchImportFindings"]
      resources = ["arn:${local.partition}:securityhub:${local.region}:${local.account}:product/${local.account}/default"]
    }
  }
}

resource "aws_iam_role_policy" "notices" {
  count  = local.has_notices
  role   = aws_iam_role.notices[0].id
  policy = data.aws_iam_policy_document.notices[0].json
}

resource "aws_lambda_function" "notices" {
  count         = local.has_notices
  function_name = "${var.name}-notices"
  package_type  = local.small.package_type
  image_uri     = local.small.image_uri
  s3_bucket     = local.small.s3_bucket
  s3_key        = local.small.s3_key
  runtime       = local.small.runtime
  handler       = local.by_zip ? "action" : null
  architectures = [var.architecture]
  role          = aws_iam_role.notices[0].arn
  memory_size   = 256
  timeout       = 60

  dynamic "image_config" {
    for_each = local.by_zip ? [] : [1]
    content {
      command = ["action"]
    }
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.all["notices"].name
  }

  dynamic "vpc_config" {
    for_each = local.vpc
    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  environment {
    variables = {
      YAGURA_WEBHOOK_URL              = var.webhook_url
      YAGURA_WEBHOOK_SECRET_PARAMETER = var.webhook_secret_parameter
      YAGURA_SECURITY_HUB             = tostring(var.security_hub)
      YAGURA_ACCOUNT                  = local.account
    }
  }

  lifecycle {
    precondition {
      condition     = var.webhook_url == "" || var.webhook_secret_parameter != ""
      error_message = "With webhook_url, webhook_secret_parameter must be given."
    }
  }
}

resource "aws_lambda_event_source_mapping" "notices" {
  count                   = local.has_notices
  function_name           = aws_lambda_function.notices[0].arn
  event_source_arn        = aws_sqs_queue.notices[0].arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]
}

resource "aws_cloudwatch_metric_alarm" "untold" {
  count               = local.has_notices
  alarm_name          = "${var.name}-notices-dead-letters"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.notice_dead_letters[0].name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarms
}
