# Yagura on every managed instance of one account and region: what cloudformation/account.yaml makes.
# The token is put by hand, so that it stands in no state file: see deploy/README.md.

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
  manifest = var.package_arn == "" ? jsondecode(file("${var.package_folder}/manifest.json")) : null
  version  = var.package_arn == "" ? local.manifest.version : var.package_version
  parameters = { for name, value in {
    "activation-url" = var.activation_url
    "ca-pin"         = var.ca_pin
    "tenant-id"      = var.tenant_id
  } : name => value if value != "" }
  parameter_arn = join(":", [
    "arn", data.aws_partition.current.partition, "ssm", data.aws_region.current.name,
    data.aws_caller_identity.current.account_id, "parameter${var.parameter_prefix}"
  ])
}

resource "aws_ssm_parameter" "console" {
  for_each = local.parameters
  name     = "${var.parameter_prefix}/${each.key}"
  type     = "String"
  value    = each.value
}

resource "aws_s3_object" "package" {
  for_each = var.package_arn == "" ? toset(keys(local.manifest.files)) : toset([])
  bucket   = var.package_bucket
  key      = "yagura/${local.version}/${each.key}"
  source   = "${var.package_folder}/${each.key}"
}

resource "aws_ssm_document" "package" {
  count           = var.package_arn == "" ? 1 : 0
  name            = var.package_name
  document_type   = "Package"
  document_format = "JSON"
  version_name    = local.version
  content         = file("${var.package_folder}/manifest.json")

  attachments_source {
    key    = "SourceUrl"
    values = ["s3://${var.package_bucket}/yagura/${local.version}"]
  }

  depends_on = [aws_s3_object.package]
}

resource "aws_ssm_association" "yagura" {
  name                = "AWS-ConfigureAWSPackage"
  association_name    = "Yagura"
  schedule_expression = var.schedule
  max_concurrency     = "100%"
  max_errors          = "100%"
  compliance_severity = "HIGH"

  parameters = {
    action              = "Install"
    installationType    = "In-place update"
    name                = var.package_arn == "" ? aws_ssm_document.package[0].name : var.package_arn
    version             = local.version
    additionalArguments = jsonencode({ SSM_YAGURA_PARAMETER_PREFIX = var.parameter_prefix })
  }

  targets {
    key    = var.target_tag_key == "" ? "InstanceIds" : "tag:${var.target_tag_key}"
    values = [var.target_tag_key == "" ? "*" : var.target_tag_value]
  }
}

data "aws_iam_policy_document" "instance" {
  statement {
    sid       = "ReadParameters"
    actions   = ["ssm:GetParameter", "ssm:GetParameters"]
    resources = ["${local.parameter_arn}/*"]
  }

  dynamic "statement" {
    for_each = var.token_key_arn == "" ? [] : [var.token_key_arn]
    content {
      sid       = "DecryptToken"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
      condition {
        test     = "StringEquals"
        variable = "kms:EncryptionContext:PARAMETER_ARN"
        values   = ["${local.parameter_arn}/token", "${local.parameter_arn}/removal-code"]
      }
    }
  }
}

resource "aws_iam_policy" "instance" {
  name_prefix = "yagura-"
  description = "What Yagura's agent needs beside AmazonSSMManagedInstanceCore"
  policy      = data.aws_iam_policy_document.instance.json
}

resource "aws_iam_role_policy_attachment" "instance" {
  for_each   = toset(var.instance_roles)
  role       = each.value
  policy_arn = aws_iam_policy.instance.arn
}
