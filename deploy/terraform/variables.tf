variable "activation_url" {
  description = "The console's agent port: https://HOST:PORT"
  type        = string
}

variable "ca_pin" {
  description = "Of the console's authority (yagura-console pin)"
  type        = string
  default     = ""
}

variable "tenant_id" {
  description = "The tenant in the console"
  type        = string
  default     = ""
}

variable "parameter_prefix" {
  description = "Where the parameters stand; the token is PREFIX/token"
  type        = string
  default     = "/yagura"
}

variable "package_arn" {
  description = "A package that another account shares; empty to make one"
  type        = string
  default     = ""
}

variable "package_version" {
  description = "With package_arn: its version"
  type        = string
  default     = ""
}

variable "package_name" {
  description = "Name of the package that is made"
  type        = string
  default     = "Yagura"
}

variable "package_folder" {
  description = "What ssm-package/build.sh wrote"
  type        = string
  default     = ""
}

variable "package_bucket" {
  description = "Where its zips are put"
  type        = string
  default     = ""
}

variable "target_tag_key" {
  description = "Only instances with this tag; empty for every managed instance"
  type        = string
  default     = ""
}

variable "target_tag_value" {
  description = "The tag's value"
  type        = string
  default     = "yes"
}

variable "schedule" {
  description = "How often the package is validated, and repaired"
  type        = string
  default     = "rate(30 minutes)"
}

variable "instance_roles" {
  description = "Roles that are to read the parameters"
  type        = list(string)
  default     = []
}

variable "token_key_arn" {
  description = "The KMS key of the token; empty for the account's aws/ssm"
  type        = string
  default     = ""
}
