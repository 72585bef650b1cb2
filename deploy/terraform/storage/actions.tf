# Quarantine, and the address that scans when something is read.

resource "aws_kms_key" "quarantine" {
  description         = "Of objects that Yagura quarantined"
  enable_key_rotation = true
}

resource "aws_s3_bucket" "quarantine" {
  bucket_prefix = "yagura-quarantine-"
}

resource "aws_s3_bucket_public_access_block" "quarantine" {
  bucket                  = aws_s3_bucket.quarantine.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "quarantine" {
  bucket = aws_s3_bucket.quarantine.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "quarantine" {
  bucket = aws_s3_bucket.quarantine.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "quarantine" {
  bucket = aws_s3_bucket.quarantine.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.quarantine.arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "quarantine" {
  bucket = aws_s3_bucket.quarantine.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {
      prefix = "quarantine/"
    }

    expiration {
      days = var.keep_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }

  rule {
    id     = "abandoned-copies"
    status = "Enabled"
    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

data "aws_iam_policy_document" "quarantine_tls" {
  statement {
    sid       = "OnlyByTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.quarantine.arn, "${aws_s3_bucket.quarantine.arn}/*"]

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

resource "aws_s3_bucket_policy" "quarantine" {
  bucket = aws_s3_bucket.quarantine.id
  policy = data.aws_iam_policy_document.quarantine_tls.json
}

resource "aws_sqs_queue" "action_dead_letters" {
  name                      = "${var.name}-quarantine-dead-letters"
  message_retention_seconds = 1209600
  kms_master_key_id         = local.key
  sqs_managed_sse_enabled   = local.key == null ? true : null
}

resource "aws_sqs_queue" "actions" {
  name                       = "${var.name}-quarantine"
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 5400
  kms_master_key_id          = local.key
  sqs_managed_sse_enabled    = local.key == null ? true : null
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.action_dead_letters.arn, maxReceiveCount = 5 })
}

data "aws_iam_policy_document" "actions_queue" {
  statement {
    sid       = "Topic"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.actions.arn, aws_sqs_queue.action_dead_letters.arn]

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

resource "aws_sqs_queue_policy" "actions" {
  for_each  = { queue = aws_sqs_queue.actions.url, dead_letters = aws_sqs_queue.action_dead_letters.url }
  queue_url = each.value
  policy    = data.aws_iam_policy_document.actions_queue.json
}

resource "aws_sns_topic_subscription" "actions" {
  topic_arn      = aws_sns_topic.results.arn
  protocol       = "sqs"
  endpoint       = aws_sqs_queue.actions.arn
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.action_dead_letters.arn })
  filter_policy  = jsonencode({ type = ["scan-result"], verdict = concat(["infected", "incomplete"], length(local.promotes) > 0 ? ["clean"] : []) })
  depends_on     = [aws_sqs_queue_policy.actions]
}

resource "aws_iam_role" "quarantine" {
  name_prefix          = "yagura-quarantine-"
  assume_role_policy   = data.aws_iam_policy_document.lambda.json
  permissions_boundary = local.boundary
}

data "aws_iam_policy_document" "quarantine" {
  source_policy_documents = [data.aws_iam_policy_document.common.json, data.aws_iam_policy_document.promote.json]

  statement {
    sid       = "Take"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.actions.arn]
  }

  dynamic "statement" {
    for_each = local.sensor_keys
    content {
      sid       = "SensorKey"
      actions   = ["ssm:GetParameter"]
      resources = [statement.value]
    }
  }

  statement {
    sid       = "Keep"
    actions   = ["s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload", "s3:GetObject"]
    resources = ["${aws_s3_bucket.quarantine.arn}/*"]
  }

  statement {
    sid       = "TellMissingFromForbidden"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.quarantine.arn]
  }

  statement {
    sid       = "Encrypt"
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = [aws_kms_key.quarantine.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${local.region}.${data.aws_partition.current.dns_suffix}"]
    }
  }
}

# The deletion is of copies that turn out not to be what was scanned.
data "aws_iam_policy_document" "promote" {
  dynamic "statement" {
    for_each = local.promotes
    content {
      sid       = "Promote"
      actions   = ["s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload", "s3:GetObject", "s3:DeleteObject", "s3:DeleteObjectVersion"]
      resources = ["arn:${local.partition}:s3:::${statement.value}/*"]
    }
  }

  dynamic "statement" {
    for_each = var.promote_key_arn == "" ? [] : [var.promote_key_arn]
    content {
      sid       = "EncryptPromoted"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
      resources = [statement.value]
      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${local.region}.${data.aws_partition.current.dns_suffix}"]
      }
    }
  }
}

resource "aws_iam_role_policy" "quarantine" {
  role   = aws_iam_role.quarantine.id
  policy = data.aws_iam_policy_document.quarantine.json
}

resource "aws_lambda_function" "quarantine" {
  function_name = "${var.name}-quarantine"
  package_type  = local.small.package_type
  image_uri     = local.small.image_uri
  s3_bucket     = local.small.s3_bucket
  s3_key        = local.small.s3_key
  runtime       = local.small.runtime
  handler       = local.by_zip ? "action" : null
  architectures = [var.architecture]
  role          = aws_iam_role.quarantine.arn
  memory_size   = 256
  timeout       = 900

  dynamic "image_config" {
    for_each = local.by_zip ? [] : [1]
    content {
      command = ["action"]
    }
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.all["quarantine"].name
  }

  dynamic "vpc_config" {
    for_each = local.vpc
    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  environment {
    variables = merge(local.console, {
      YAGURA_BUCKETS               = join(":", keys(var.buckets))
      YAGURA_QUARANTINE_BUCKET     = aws_s3_bucket.quarantine.id
      YAGURA_QUARANTINE_KEY        = aws_kms_key.quarantine.arn
      YAGURA_QUARANTINE_INCOMPLETE = var.incomplete
      YAGURA_PROMOTE_BUCKET        = var.promote_bucket
      YAGURA_PROMOTE_KEY           = var.promote_key_arn
    })
  }
}

resource "aws_lambda_event_source_mapping" "quarantine" {
  function_name           = aws_lambda_function.quarantine.arn
  event_source_arn        = aws_sqs_queue.actions.arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]
}

resource "aws_iam_role" "gate" {
  count                = local.has_gate
  name_prefix          = "yagura-gate-"
  assume_role_policy   = data.aws_iam_policy_document.lambda.json
  permissions_boundary = local.boundary
}

data "aws_iam_policy_document" "gate" {
  count                   = local.has_gate
  source_policy_documents = [data.aws_iam_policy_document.common.json, data.aws_iam_policy_document.mirror.json]

  statement {
    sid       = "Publish"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.results.arn]
  }

  dynamic "statement" {
    for_each = local.sensor_keys
    content {
      sid       = "SensorKey"
      actions   = ["ssm:GetParameter"]
      resources = [statement.value]
    }
  }

  statement {
    sid       = "AskForScans"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.events.arn]
  }
}

resource "aws_iam_role_policy" "gate" {
  count  = local.has_gate
  role   = aws_iam_role.gate[0].id
  policy = data.aws_iam_policy_document.gate[0].json
}

resource "aws_lambda_function" "gate" {
  count         = local.has_gate
  function_name = "${var.name}-gate"
  package_type  = "Image"
  image_uri     = var.image_uri
  architectures = [var.architecture]
  role          = aws_iam_role.gate[0].arn
  memory_size   = 3072
  timeout       = 60

  image_config {
    command = ["gate"]
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.all["gate"].name
  }

  dynamic "vpc_config" {
    for_each = local.vpc
    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  environment {
    variables = merge(local.settings, {
      YAGURA_BUCKETS    = join(":", keys(local.gated))
      YAGURA_QUEUE_URL  = aws_sqs_queue.events.url
      YAGURA_TAGS_TRUST = "true"
    })
  }
}

resource "aws_lambda_function_url" "gate" {
  count              = local.has_gate
  function_name      = aws_lambda_function.gate[0].function_name
  authorization_type = "AWS_IAM"
}

output "tag_gate_policies" {
  description = "By bucket: to be among the source_policy_documents of its policy"
  value       = { for name, document in data.aws_iam_policy_document.tag_gate : name => document.json }
}

output "gate_address" {
  description = "Ask ADDRESS followed by object?bucket=BUCKET&key=KEY, signed by SigV4 for the service lambda"
  value       = [for url in aws_lambda_function_url.gate : url.function_url]
}

output "topic_arn" {
  value = aws_sns_topic.results.arn
}

output "quarantine_bucket" {
  value = aws_s3_bucket.quarantine.id
}
