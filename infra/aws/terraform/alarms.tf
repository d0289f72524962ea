# What AWS itself sees, so that somebody is told even where nobody scrapes /metrics. Their sections are in the runbook.
resource "aws_cloudwatch_metric_alarm" "behind" {
  alarm_name          = "${var.name}-behind-stream"
  alarm_description   = "A shard is read more than ten minutes behind its tip: infra/runbook.md#alluviumbehindstream"
  namespace           = "AWS/Kinesis"
  metric_name         = "GetRecords.IteratorAgeMilliseconds"
  dimensions          = { StreamName = aws_kinesis_stream.this.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = 600000
  # Nobody reads at all.
  treat_missing_data = "breaching"
  alarm_actions      = var.alarm_topics
  ok_actions         = var.alarm_topics
}

resource "aws_cloudwatch_metric_alarm" "retention" {
  alarm_name          = "${var.name}-retention-near"
  alarm_description   = "The lag of a shard is half of the stream's retention: infra/runbook.md#alluviumretentionnear"
  namespace           = "AWS/Kinesis"
  metric_name         = "GetRecords.IteratorAgeMilliseconds"
  dimensions          = { StreamName = aws_kinesis_stream.this.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.retention_hours * 3600000 / 2
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
}

resource "aws_cloudwatch_metric_alarm" "throttled" {
  alarm_name          = "${var.name}-throttled"
  alarm_description   = "Kinesis refuses reads for their rate: infra/runbook.md#alluviumthrottled"
  namespace           = "AWS/Kinesis"
  metric_name         = "ReadProvisionedThroughputExceeded"
  dimensions          = { StreamName = aws_kinesis_stream.this.name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 30
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
}

resource "aws_cloudwatch_metric_alarm" "down" {
  for_each            = local.numbers
  alarm_name          = "${var.name}-${each.key}-down"
  alarm_description   = "Task ${each.key} of ${var.tasks} does not run: infra/runbook.md#alluviumdown"
  namespace           = "ECS/ContainerInsights"
  metric_name         = "RunningTaskCount"
  dimensions          = { ClusterName = aws_ecs_cluster.this.name, ServiceName = aws_ecs_service.this[each.key].name }
  statistic           = "Minimum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
}
