variable "name" {
  description = "What the names of all that is made begin with"
  type        = string
  default     = "yagura-storage"
}

variable "profile" {
  description = "lambda below some 5 million objects a month, poller above"
  type        = string
  default     = "lambda"

  validation {
    condition     = contains(["lambda", "poller"], var.profile)
    error_message = "profile is lambda or poller."
  }
}

variable "image_uri" {
  description = "The image of yagura-storage, with signatures, in this region's registry"
  type        = string
}

variable "zip_bucket" {
  description = "A bucket of this region with yagura-storage-lambda.zip (packaging/lambda/build-zip.sh) of the architecture: what scans nothing runs from it; empty to run it from the image"
  type        = string
  default     = ""
}

variable "zip_key" {
  description = "Its key in that bucket"
  type        = string
  default     = "yagura-storage-lambda.zip"
}

variable "repository_arn" {
  description = "The repository of that image; needed by the poller"
  type        = string
  default     = ""
}

variable "architecture" {
  description = "arm64 or x86_64"
  type        = string
  default     = "arm64"
}

variable "buckets" {
  description = <<-EOT
    The buckets whose objects are scanned, by name. key_arn: the KMS key of its objects. prefix, suffix: only such keys.
    own_notifications: this module turns EventBridge on, and with it owns all notifications of the bucket, because the
    provider cannot add to them; false: turn EventBridge on where the bucket is made. read_gate: the address gives out
    its objects, and tag_gate_policies has its policy. object_lambda_name: of an access point of S3 Object Lambda that
    scans what is read, for accounts that used it before 7 November 2025.
  EOT
  type = map(object({
    key_arn            = optional(string, "")
    prefix             = optional(string, "")
    suffix             = optional(string, "")
    own_notifications  = optional(bool, false)
    read_gate          = optional(bool, false)
    object_lambda_name = optional(string, "")
  }))
}

variable "trusted_principal_arns" {
  description = "Roles that read unscanned objects and change tags, such as a backup's"
  type        = list(string)
  default     = []
}

variable "tags_format" {
  description = "separated, merged, fss or none"
  type        = string
  default     = "separated"
}

variable "report_object_keys" {
  description = "false: logs and the console hold no object's name"
  type        = bool
  default     = true
}

variable "console_url" {
  description = "The console that results are reported to; empty for none"
  type        = string
  default     = ""
}

variable "console_pin" {
  description = "Of the console's authority (yagura-console pin)"
  type        = string
  default     = ""
}

variable "sensor_key_parameter" {
  description = "The SecureString in Parameter Store that holds the sensor key; put by hand, so that no state file holds it"
  type        = string
  default     = ""
}

variable "mirror_bucket" {
  description = "A bucket that holds ClamAV's signature files (.cvd), looked at every hour; empty to use those of the image"
  type        = string
  default     = ""
}

variable "mirror_prefix" {
  description = "Of their keys in that bucket, with a slash at its end"
  type        = string
  default     = "signatures/"

  validation {
    condition     = var.mirror_prefix == "" || endswith(var.mirror_prefix, "/")
    error_message = "End mirror_prefix with a slash."
  }
}

variable "mirror_key_arn" {
  description = "The KMS key of those files; empty for keys of S3"
  type        = string
  default     = ""
}

variable "message_key_arn" {
  description = "A KMS key for queues and topic, whose policy lets events, s3 and sns use it; empty for keys of SQS and SNS"
  type        = string
  default     = ""
}

variable "subnet_ids" {
  description = "Needed by the poller; with Lambda, empty to run outside of a VPC"
  type        = list(string)
  default     = []
}

variable "security_group_ids" {
  description = "With subnet_ids"
  type        = list(string)
  default     = []
}

variable "permissions_boundary_arn" {
  description = "The boundary of every role; empty for none"
  type        = string
  default     = ""
}

variable "alarm_topic_arn" {
  description = "Where alarms go; empty to have them in CloudWatch only"
  type        = string
  default     = ""
}

variable "most_signature_age_seconds" {
  description = "An alarm is raised when the signatures in use are older"
  type        = number
  default     = 259200
}

variable "most_backlog_seconds" {
  description = "An alarm is raised when an object waits longer for its verdict"
  type        = number
  default     = 900
}

variable "least_tasks" {
  description = "Of the poller; 1 or more"
  type        = number
  default     = 1
}

variable "most_tasks" {
  description = "Of the poller"
  type        = number
  default     = 10
}

variable "backlog_per_task" {
  description = "Messages for each task of the poller"
  type        = number
  default     = 200
}

variable "incomplete" {
  description = "What is done with objects that could not be scanned whole: leave or quarantine"
  type        = string
  default     = "leave"
}

variable "keep_days" {
  description = "After so many days quarantined objects are deleted"
  type        = number
  default     = 90
}

variable "promote_bucket" {
  description = "Where clean objects are moved; empty to leave them"
  type        = string
  default     = ""
}

variable "promote_key_arn" {
  description = "The KMS key of the promoted objects; empty for that bucket's own default"
  type        = string
  default     = ""
}

variable "webhook_url" {
  description = "Gets each malicious result as a POST; empty for none"
  type        = string
  default     = ""
}

variable "webhook_secret_parameter" {
  description = "The SecureString in Parameter Store with which its messages are signed"
  type        = string
  default     = ""
}

variable "security_hub" {
  description = "Each malicious object is a finding in this account and region, where Security Hub must be on"
  type        = bool
  default     = false
}
