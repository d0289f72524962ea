# ECS tells a task of a service neither its number nor how many there are, so each number is a service of one task. `--task I/N` is about
# who reads what and never about what is right: while N changes, two processes may want a shard, and one of them gets it.
locals {
  numbers = toset([for number in range(var.tasks) : tostring(number)])
}

resource "aws_ecs_cluster" "this" {
  name = var.name
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:logs name shards and positions, never the events
  name              = "/alluvium/${var.name}"
  retention_in_days = 365
}

resource "aws_ecs_task_definition" "this" {
  for_each                 = local.numbers
  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.service.arn
  execution_role_arn       = aws_iam_role.start.arn

  container_definitions = jsonencode([{
    name                   = "alluvium"
    image                  = var.image
    essential              = true
    command                = ["run", "--config", "/etc/alluvium/alluvium.toml", "--task", "${each.key}/${var.tasks}", "--log-format", "json"]
    user                   = "10001"
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    # Time to cut and store what is open; Fargate allows no more. A kill loses nothing either.
    stopTimeout  = 120
    portMappings = [{ containerPort = 9464 }]
    environment = [
      { name = "STREAM", value = aws_kinesis_stream.this.name },
      { name = "LAKE_BUCKET", value = aws_s3_bucket.lake.bucket },
      { name = "BUFFER_MEMORY", value = "${floor(var.memory / 2)} MiB" },
      { name = "AWS_REGION", value = data.aws_region.this.name },
    ]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.this.name
        "awslogs-region"        = data.aws_region.this.name
        "awslogs-stream-prefix" = "task"
      }
    }
  }])
}

resource "aws_ecs_service" "this" {
  for_each        = local.numbers
  name            = "${var.name}-${each.key}"
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.this[each.key].arn
  desired_count   = 1
  launch_type     = "FARGATE"
  # The old task ends before the new one begins: it cuts, stores and gives its shards up, and nobody has to take them by force.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  network_configuration {
    subnets          = var.subnets
    security_groups  = var.security_groups
    assign_public_ip = false
  }
}
