# Each bucket: its events to the queue, the roles' permissions for it, and the policy of the tag gate.

resource "aws_s3_bucket_notification" "eventbridge" {
  for_each    = { for name, bucket in var.buckets : name => bucket if bucket.own_notifications }
  bucket      = each.key
  eventbridge = true
}

resource "aws_cloudwatch_event_rule" "created" {
  for_each    = var.buckets
  name_prefix = "yagura-"
  description = "New objects of ${each.key} to Yagura's scanner"
  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [each.key] }
      object = { key = [{ wildcard = "${each.value.prefix}*${each.value.suffix}" }] }
    }
  })
}

resource "aws_sqs_queue" "undelivered" {
  name                      = "${var.name}-undelivered"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

data "aws_iam_policy_document" "undelivered" {
  statement {
    sid       = "Rules"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.undelivered.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [for rule in aws_cloudwatch_event_rule.created : rule.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "undelivered" {
  queue_url = aws_sqs_queue.undelivered.url
  policy    = data.aws_iam_policy_document.undelivered.json
}

resource "aws_cloudwatch_event_target" "queue" {
  for_each = var.buckets
  rule     = aws_cloudwatch_event_rule.created[each.key].name
  arn      = aws_sqs_queue.events.arn

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

data "aws_iam_policy_document" "read_and_tag" {
  for_each = var.buckets

  statement {
    sid = "ReadAndTag"
    actions = [
      "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectVersionTagging",
      "s3:PutObjectTagging", "s3:PutObjectVersionTagging"
    ]
    resources = ["${local.bucket_arn[each.key]}/*"]
  }

  statement {
    sid       = "TellMissingFromForbidden"
    actions   = ["s3:ListBucket", "s3:ListBucketVersions"]
    resources = [local.bucket_arn[each.key]]
  }

  dynamic "statement" {
    for_each = each.value.key_arn == "" ? [] : [each.value.key_arn]
    content {
      sid       = "Decrypt"
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

resource "aws_iam_role_policy" "scanner_bucket" {
  for_each = var.buckets
  name     = "bucket-${each.key}"
  role     = aws_iam_role.scanner.id
  policy   = data.aws_iam_policy_document.read_and_tag[each.key].json
}

resource "aws_iam_role_policy" "gate_bucket" {
  for_each = local.gated
  name     = "bucket-${each.key}"
  role     = aws_iam_role.gate[0].id
  policy   = data.aws_iam_policy_document.read_and_tag[each.key].json
}

data "aws_iam_policy_document" "quarantine_bucket" {
  for_each                = var.buckets
  source_policy_documents = [data.aws_iam_policy_document.read_and_tag[each.key].json]

  statement {
    sid       = "Delete"
    actions   = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    resources = ["${local.bucket_arn[each.key]}/*"]
  }
}

resource "aws_iam_role_policy" "quarantine_bucket" {
  for_each = var.buckets
  name     = "bucket-${each.key}"
  role     = aws_iam_role.quarantine.id
  policy   = data.aws_iam_policy_document.quarantine_bucket[each.key].json
}

# To be a source_policy_documents of the bucket's own policy: the provider cannot add to one.
data "aws_iam_policy_document" "tag_gate" {
  for_each = local.gated

  statement {
    sid       = "YaguraOnlyCleanIsRead"
    effect    = "Deny"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${local.bucket_arn[each.key]}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "StringNotEquals"
      variable = "s3:ExistingObjectTag/yagura-scan-status"
      values   = ["clean"]
    }

    condition {
      test     = "ArnNotLike"
      variable = "aws:PrincipalArn"
      values   = local.trusted
    }
  }

  statement {
    sid       = "YaguraNoLinkToUnclean"
    effect    = "Deny"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${local.bucket_arn[each.key]}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "StringNotEquals"
      variable = "s3:ExistingObjectTag/yagura-scan-status"
      values   = ["clean"]
    }

    condition {
      test     = "StringEquals"
      variable = "s3:authType"
      values   = ["REST-QUERY-STRING"]
    }
  }

  statement {
    sid       = "YaguraShortLinks"
    effect    = "Deny"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${local.bucket_arn[each.key]}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:PrincipalArn"
      values   = [aws_iam_role.gate[0].arn]
    }

    condition {
      test     = "StringEquals"
      variable = "s3:authType"
      values   = ["REST-QUERY-STRING"]
    }

    condition {
      test     = "NumericGreaterThan"
      variable = "s3:signatureAge"
      values   = ["60000"]
    }
  }

  statement {
    sid    = "YaguraVerdictsAreOurs"
    effect = "Deny"
    actions = [
      "s3:PutObjectTagging", "s3:PutObjectVersionTagging", "s3:DeleteObjectTagging",
      "s3:DeleteObjectVersionTagging", "s3:ReplicateTags"
    ]
    resources = ["${local.bucket_arn[each.key]}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "ArnNotLike"
      variable = "aws:PrincipalArn"
      values   = local.trusted
    }
  }

  statement {
    sid       = "YaguraNoVerdictOnUpload"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = ["${local.bucket_arn[each.key]}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "ForAnyValue:StringLike"
      variable = "s3:RequestObjectTagKeys"
      values   = ["yagura-*"]
    }

    condition {
      test     = "ArnNotLike"
      variable = "aws:PrincipalArn"
      values   = local.trusted
    }
  }
}

locals {
  trusted = concat(
    [aws_iam_role.scanner.arn, aws_iam_role.quarantine.arn],
    [for role in aws_iam_role.gate : role.arn],
    var.trusted_principal_arns
  )
}
