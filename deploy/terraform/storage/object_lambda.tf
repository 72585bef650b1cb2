# Objects that are scanned when they are read, by S3 Object Lambda: for accounts that used it before 7 November 2025.

resource "aws_iam_role" "object_lambda" {
  count                = local.has_object_lambda
  name_prefix          = "yagura-object-lambda-"
  assume_role_policy   = data.aws_iam_policy_document.lambda.json
  permissions_boundary = local.boundary
}

# The object comes by a link of the reader's own, so that nothing of the bucket is permitted here.
data "aws_iam_policy_document" "object_lambda" {
  count                   = local.has_object_lambda
  source_policy_documents = [data.aws_iam_policy_document.common.json, data.aws_iam_policy_document.mirror.json]

  statement {
    sid       = "Answer"
    actions   = ["s3-object-lambda:WriteGetObjectResponse"]
    resources = [for name in keys(local.object_lambda) : "arn:${local.partition}:s3-object-lambda:${local.region}:${local.account}:accesspoint/${local.object_lambda[name]}"]
  }

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
}

resource "aws_iam_role_policy" "object_lambda" {
  count  = local.has_object_lambda
  role   = aws_iam_role.object_lambda[0].id
  policy = data.aws_iam_policy_document.object_lambda[0].json
}

resource "aws_lambda_function" "object_lambda" {
  count         = local.has_object_lambda
  function_name = "${var.name}-object-lambda"
  package_type  = "Image"
  image_uri     = var.image_uri
  architectures = [var.architecture]
  role          = aws_iam_role.object_lambda[0].arn
  memory_size   = 3072
  timeout       = 60

  image_config {
    command = ["object-lambda"]
  }

  ephemeral_storage {
    size = 4096
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.all["object-lambda"].name
  }

  dynamic "vpc_config" {
    for_each = local.vpc
    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  environment {
    variables = local.settings
  }
}

resource "aws_s3_access_point" "object_lambda" {
  for_each = local.object_lambda
  bucket   = each.key
  name     = "${each.value}-source"

  public_access_block_configuration {
    block_public_acls       = true
    block_public_policy     = true
    ignore_public_acls      = true
    restrict_public_buckets = true
  }
}

resource "aws_s3control_object_lambda_access_point" "reading" {
  for_each = local.object_lambda
  name     = each.value

  configuration {
    supporting_access_point     = aws_s3_access_point.object_lambda[each.key].arn
    cloud_watch_metrics_enabled = true
    allowed_features            = ["GetObject-Range"]

    transformation_configuration {
      actions = ["GetObject", "HeadObject"]

      content_transformation {
        aws_lambda {
          function_arn     = aws_lambda_function.object_lambda[0].arn
          function_payload = jsonencode({ bucket = each.key })
        }
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "object_lambda" {
  count               = local.has_object_lambda
  alarm_name          = "${var.name}-object-lambda"
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = aws_lambda_function.object_lambda[0].function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarms
}

output "object_lambda_access_points" {
  description = "By bucket: what readers name in its place; they need lambda:InvokeFunction on the function too"
  value       = { for name, point in aws_s3control_object_lambda_access_point.reading : name => point.arn }
}
