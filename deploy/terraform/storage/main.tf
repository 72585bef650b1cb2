# File storage: queue, topic, scanner, quarantine, read gate. What ../../cloudformation/storage/ makes.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account           = data.aws_caller_identity.current.account_id
  partition         = data.aws_partition.current.partition
  region            = data.aws_region.current.name
  boundary          = var.permissions_boundary_arn == "" ? null : var.permissions_boundary_arn
  key               = var.message_key_arn == "" ? null : var.message_key_arn
  keys              = var.message_key_arn == "" ? [] : [var.message_key_arn]
  alarms            = var.alarm_topic_arn == "" ? [] : [var.alarm_topic_arn]
  vpc               = length(var.subnet_ids) == 0 ? [] : [1]
  by_lambda         = var.profile == "lambda" ? 1 : 0
  by_poller         = var.profile == "poller" ? 1 : 0
  gated             = { for name, bucket in var.buckets : name => bucket if bucket.read_gate }
  promotes          = var.promote_bucket == "" ? [] : [var.promote_bucket]
  has_gate          = length(local.gated) > 0 ? 1 : 0
  has_notices       = var.webhook_url != "" || var.security_hub ? 1 : 0
  object_lambda     = { for name, bucket in var.buckets : name => bucket.object_lambda_name if bucket.object_lambda_name != "" }
  has_object_lambda = length(local.object_lambda) > 0 ? 1 : 0
  by_zip            = var.zip_bucket != ""
  bucket_arn        = { for name, bucket in var.buckets : name => "arn:${local.partition}:s3:::${name}" }
  # How what scans nothing is packed.
  small = {
    package_type = local.by_zip ? "Zip" : "Image"
    image_uri    = local.by_zip ? null : var.image_uri
    s3_bucket    = local.by_zip ? var.zip_bucket : null
    s3_key       = local.by_zip ? var.zip_key : null
    runtime      = local.by_zip ? "provided.al2023" : null
  }
  # Where the sensor key stands, for those that report.
  sensor_keys = var.sensor_key_parameter == "" ? [] : ["arn:${local.partition}:ssm:${local.region}:${local.account}:parameter${var.sensor_key_parameter}"]
  console = {
    YAGURA_CONSOLE_URL           = var.console_url
    YAGURA_CONSOLE_PIN           = var.console_pin
    YAGURA_CONSOLE_KEY_PARAMETER = var.sensor_key_parameter
  }
  settings = merge(local.console, {
    YAGURA_TOPIC_ARN         = aws_sns_topic.results.arn
    YAGURA_TAGS_FORMAT       = var.tags_format
    YAGURA_REPORT_OBJECT_KEY = tostring(var.report_object_keys)
    YAGURA_MIRROR_URL        = var.mirror_bucket == "" ? "" : "s3://${var.mirror_bucket}/${var.mirror_prefix}"
  })
}

# Of everything that scans.
data "aws_iam_policy_document" "mirror" {
  dynamic "statement" {
    for_each = var.mirror_bucket == "" ? [] : [var.mirror_bucket]
    content {
      sid       = "Mirror"
      actions   = ["s3:GetObject"]
      resources = ["arn:${local.partition}:s3:::${statement.value}/${var.mirror_prefix}*"]
    }
  }

  dynamic "statement" {
    for_each = var.mirror_bucket == "" ? [] : [var.mirror_bucket]
    content {
      sid       = "ListMirror"
      actions   = ["s3:ListBucket"]
      resources = ["arn:${local.partition}:s3:::${statement.value}"]

      dynamic "condition" {
        for_each = var.mirror_prefix == "" ? [] : [var.mirror_prefix]
        content {
          test     = "StringEquals"
          variable = "s3:prefix"
          values   = [condition.value]
        }
      }
    }
  }

  dynamic "statement" {
    for_each = var.mirror_key_arn == "" ? [] : [var.mirror_key_arn]
    content {
      sid       = "MirrorKey"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${local.region}.${data.aws_partition.current.dns_suffix}"]
      }
    }
  }
}

resource "aws_sqs_queue" "dead_letters" {
  name                       = "${var.name}-dead-letters"
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 360
  kms_master_key_id          = local.key
  sqs_managed_sse_enabled    = local.key == null ? true : null
}

resource "aws_sqs_queue" "events" {
  name                       = "${var.name}-events"
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 1800
  receive_wait_time_seconds  = 20
  kms_master_key_id          = local.key
  sqs_managed_sse_enabled    = local.key == null ? true : null
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead_letters.arn, maxReceiveCount = 5 })
}

data "aws_iam_policy_document" "events_queue" {
  statement {
    sid       = "RulesOfThisAccount"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.events.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:events:${local.region}:${local.account}:rule/*"]
    }
  }

  statement {
    sid       = "OnlyByTls"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [aws_sqs_queue.events.arn]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.url
  policy    = data.aws_iam_policy_document.events_queue.json
}

resource "aws_sns_topic" "results" {
  name              = "${var.name}-results"
  kms_master_key_id = local.key == null ? "alias/aws/sns" : local.key
}

# What Lambda and ECS may take, and nobody else.
data "aws_iam_policy_document" "lambda" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "ecs" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

# What each of them needs beside its own.
data "aws_iam_policy_document" "common" {
  dynamic "statement" {
    for_each = local.keys
    content {
      sid       = "MessageKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = local.vpc
    content {
      sid = "NetworkInterfaces"
      actions = [
        "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"
      ]
      resources = ["*"]
    }
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = [for group in aws_cloudwatch_log_group.all : "${group.arn}:*"]
  }
}

resource "aws_cloudwatch_log_group" "all" {
  for_each          = toset(["scanner", "dead-letters", "quarantine", "gate", "notices", "object-lambda"])
  name              = "/${var.name}/${each.key}"
  retention_in_days = each.key == "quarantine" ? 365 : 90
}

resource "aws_iam_role" "dead_letters" {
  name_prefix          = "yagura-dead-letters-"
  assume_role_policy   = data.aws_iam_policy_document.lambda.json
  permissions_boundary = local.boundary
}

data "aws_iam_policy_document" "dead_letters" {
  source_policy_documents = [data.aws_iam_policy_document.common.json]

  statement {
    sid       = "Take"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.dead_letters.arn]
  }

  statement {
    sid       = "Publish"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.results.arn]
  }
}

resource "aws_iam_role_policy" "dead_letters" {
  role   = aws_iam_role.dead_letters.id
  policy = data.aws_iam_policy_document.dead_letters.json
}

resource "aws_lambda_function" "dead_letters" {
  function_name = "${var.name}-dead-letters"
  package_type  = local.small.package_type
  image_uri     = local.small.image_uri
  s3_bucket     = local.small.s3_bucket
  s3_key        = local.small.s3_key
  runtime       = local.small.runtime
  handler       = local.by_zip ? "dead-letter" : null
  architectures = [var.architecture]
  role          = aws_iam_role.dead_letters.arn
  memory_size   = 256
  timeout       = 60

  dynamic "image_config" {
    for_each = local.by_zip ? [] : [1]
    content {
      command = ["dead-letter"]
    }
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.all["dead-letters"].name
  }

  environment {
    variables = {
      YAGURA_TOPIC_ARN         = aws_sns_topic.results.arn
      YAGURA_REPORT_OBJECT_KEY = tostring(var.report_object_keys)
    }
  }
}

resource "aws_lambda_event_source_mapping" "dead_letters" {
  function_name           = aws_lambda_function.dead_letters.arn
  event_source_arn        = aws_sqs_queue.dead_letters.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]
}

locals {
  queue_alarms = {
    backlog                 = [aws_sqs_queue.events.name, "ApproximateAgeOfOldestMessage", var.most_backlog_seconds]
    dead-letters            = [aws_sqs_queue.dead_letters.name, "ApproximateNumberOfMessagesVisible", 0]
    quarantine-backlog      = [aws_sqs_queue.actions.name, "ApproximateAgeOfOldestMessage", 900]
    quarantine-dead-letters = [aws_sqs_queue.action_dead_letters.name, "ApproximateNumberOfMessagesVisible", 0]
    undelivered             = [aws_sqs_queue.undelivered.name, "ApproximateNumberOfMessagesVisible", 0]
  }
  log_alarms = {
    incomplete = ["\"verdict=incomplete\"", 3600, 100]
  }
}

resource "aws_cloudwatch_metric_alarm" "queues" {
  for_each            = local.queue_alarms
  alarm_name          = "${var.name}-${each.key}"
  namespace           = "AWS/SQS"
  metric_name         = each.value[1]
  dimensions          = { QueueName = each.value[0] }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = each.value[2]
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarms
}

resource "aws_cloudwatch_log_metric_filter" "scanner" {
  for_each       = local.log_alarms
  name           = "${var.name}-${each.key}"
  log_group_name = aws_cloudwatch_log_group.all["scanner"].name
  pattern        = each.value[0]

  metric_transformation {
    namespace = "Yagura/Storage"
    name      = "${var.name}-${each.key}"
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "scanner_log" {
  for_each            = local.log_alarms
  alarm_name          = "${var.name}-${each.key}"
  namespace           = "Yagura/Storage"
  metric_name         = "${var.name}-${each.key}"
  statistic           = "Sum"
  period              = each.value[1]
  evaluation_periods  = 1
  threshold           = each.value[2]
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarms
}

# The scanner tells it in its log, by the name that it is given.
resource "aws_cloudwatch_metric_alarm" "signature_age" {
  alarm_name          = "${var.name}-signature-age"
  namespace           = "Yagura/Storage"
  metric_name         = "SignatureAge"
  dimensions          = { Scanner = var.name }
  statistic           = "Maximum"
  period              = 86400
  evaluation_periods  = 1
  threshold           = var.most_signature_age_seconds
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarms
}

resource "aws_cloudwatch_metric_alarm" "unscanned" {
  alarm_name          = "${var.name}-unscanned"
  namespace           = "AWS/Lambda"
  metric_name         = "Invocations"
  dimensions          = { FunctionName = aws_lambda_function.dead_letters.function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarms
}
