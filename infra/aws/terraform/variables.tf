variable "name" {
  description = "What the stream, the service and the alarms are called"
  type        = string
  default     = "attribute-events"
}

variable "bucket" {
  description = "Name of the lake's bucket, which is made"
  type        = string
}

variable "database" {
  description = "Name of the Glue database, which is made"
  type        = string
  default     = "company_lake"
}

variable "table_definition" {
  description = "The table for Glue as `alluvium ddl --dialect glue` writes it; its place in the bucket is set here"
  type        = string
  default     = null
}

variable "shards" {
  description = "Shards of the stream: each takes 1 MiB and 1,000 records a second"
  type        = number
  default     = 4
}

variable "retention_hours" {
  description = "How long the stream keeps records: well above the longest time the service may be down"
  type        = number
  default     = 72
}

variable "tasks" {
  description = "Processes that share the shards: shard n is read by the process n mod tasks"
  type        = number
  default     = 2
  validation {
    condition     = var.tasks >= 1 && var.tasks <= 100
    error_message = "Between 1 and 100 tasks."
  }
}

variable "image" {
  description = "The image made by infra/Dockerfile, by digest"
  type        = string
}

variable "cpu" {
  description = "Fargate's CPU units of a task"
  type        = number
  default     = 1024
}

variable "memory" {
  description = "MiB of a task"
  type        = number
  default     = 4096
}

variable "subnets" {
  description = "Subnets of the tasks, with a way to S3, Kinesis, ECR and CloudWatch"
  type        = list(string)
}

variable "security_groups" {
  description = "Security groups of the tasks: out to 443; in to 9464 for whoever scrapes the metrics, and nobody else"
  type        = list(string)
}

variable "alarm_topics" {
  description = "ARNs of SNS topics that alarms go to"
  type        = list(string)
  default     = []
}

variable "errors_days" {
  description = "Days that rejected records are kept"
  type        = number
  default     = 90
}

variable "raw_cold_days" {
  description = "Days after which raw records go to Glacier Instant Retrieval; they are never removed"
  type        = number
  default     = 30
}
