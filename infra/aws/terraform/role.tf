locals {
  # The calls that the code makes, which a test compares with it.
  permissions = jsondecode(file("${path.module}/../permissions.json"))
  account     = data.aws_caller_identity.this.account_id
  logs        = "arn:${data.aws_partition.this.partition}:logs:${data.aws_region.this.name}:${local.account}:log-group:${aws_cloudwatch_log_group.this.name}"
}

data "aws_iam_policy_document" "tasks" {
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

data "aws_iam_policy_document" "service" {
  statement {
    sid       = "Stream"
    actions   = local.permissions.stream
    resources = [aws_kinesis_stream.this.arn]
  }

  statement {
    sid     = "Objects"
    actions = local.permissions.objects
    resources = [
      for place in [local.table.Name, "errors", "raw", "_alluvium"] : "${aws_s3_bucket.lake.arn}/${place}/*"
    ]
  }

  # Of the whole bucket: with a condition on prefixes S3 answers 403 instead of 404 to a GET of what is not there.
  statement {
    sid       = "Bucket"
    actions   = local.permissions.bucket
    resources = [aws_s3_bucket.lake.arn]
  }
}

resource "aws_iam_role" "service" {
  name_prefix        = "${var.name}-"
  description        = "Alluvium: reads the stream, writes the lake"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
}

resource "aws_iam_role_policy" "service" {
  name   = "lake"
  role   = aws_iam_role.service.id
  policy = data.aws_iam_policy_document.service.json
}

# What ECS itself does before the process runs: fetch the image, open the log.
data "aws_iam_policy_document" "start" {
  statement {
    sid       = "Token"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid       = "Image"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = ["arn:${data.aws_partition.this.partition}:ecr:${data.aws_region.this.name}:${local.account}:repository/*"]
  }

  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.logs}:*"]
  }
}

resource "aws_iam_role" "start" {
  name_prefix        = "${var.name}-start-"
  description        = "ECS: fetches the image and opens the log of Alluvium's tasks"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
}

resource "aws_iam_role_policy" "start" {
  name   = "start"
  role   = aws_iam_role.start.id
  policy = data.aws_iam_policy_document.start.json
}
