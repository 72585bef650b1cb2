# The scanner: a function, or a service that polls.

resource "aws_iam_role" "scanner" {
  name_prefix          = "yagura-scanner-"
  assume_role_policy   = var.profile == "lambda" ? data.aws_iam_policy_document.lambda.json : data.aws_iam_policy_document.ecs.json
  permissions_boundary = local.boundary
}

data "aws_iam_policy_document" "scanner" {
  source_policy_documents = [data.aws_iam_policy_document.common.json, data.aws_iam_policy_document.mirror.json]

  statement {
    sid       = "Take"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.events.arn]
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

resource "aws_iam_role_policy" "scanner" {
  role   = aws_iam_role.scanner.id
  policy = data.aws_iam_policy_document.scanner.json
}

resource "aws_lambda_function" "scanner" {
  count         = local.by_lambda
  function_name = "${var.name}-scanner"
  package_type  = "Image"
  image_uri     = var.image_uri
  architectures = [var.architecture]
  role          = aws_iam_role.scanner.arn
  memory_size   = 3072
  timeout       = 300

  image_config {
    command = ["lambda"]
  }

  ephemeral_storage {
    size = 4096
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.all["scanner"].name
  }

  dynamic "vpc_config" {
    for_each = local.vpc
    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  environment {
    variables = merge(local.settings, { YAGURA_METRICS_SCANNER = var.name })
  }
}

resource "aws_lambda_event_source_mapping" "scanner" {
  count                   = local.by_lambda
  function_name           = aws_lambda_function.scanner[0].arn
  event_source_arn        = aws_sqs_queue.events.arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 50
  }
}

resource "aws_ecs_cluster" "scanner" {
  count = local.by_poller
  name  = var.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_iam_role" "execution" {
  count                = local.by_poller
  name_prefix          = "yagura-execution-"
  assume_role_policy   = data.aws_iam_policy_document.ecs.json
  permissions_boundary = local.boundary
}

data "aws_iam_policy_document" "execution" {
  count = local.by_poller

  statement {
    sid       = "RegistryLogin"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid       = "Image"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [var.repository_arn]
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.all["scanner"].arn}:*"]
  }
}

resource "aws_iam_role_policy" "execution" {
  count  = local.by_poller
  role   = aws_iam_role.execution[0].id
  policy = data.aws_iam_policy_document.execution[0].json
}

resource "aws_ecs_task_definition" "scanner" {
  count                    = local.by_poller
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 2048
  memory                   = 4096
  execution_role_arn       = aws_iam_role.execution[0].arn
  task_role_arn            = aws_iam_role.scanner.arn

  ephemeral_storage {
    size_in_gib = 40
  }

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = upper(var.architecture)
  }

  volume {
    name = "temporary"
  }

  container_definitions = jsonencode([{
    name                   = "scanner"
    image                  = var.image_uri
    command                = ["poller"]
    essential              = true
    readonlyRootFilesystem = true
    stopTimeout            = 120
    linuxParameters        = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
    mountPoints            = [{ sourceVolume = "temporary", containerPath = "/tmp", readOnly = false }]
    environment = [
      for name, value in merge(local.settings, { YAGURA_METRICS_SCANNER = var.name, YAGURA_QUEUE_URL = aws_sqs_queue.events.url }) : { name = name, value = value }
    ]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.all["scanner"].name
        awslogs-region        = local.region
        awslogs-stream-prefix = "scanner"
      }
    }
  }])
}

resource "aws_ecs_service" "scanner" {
  count           = local.by_poller
  name            = var.name
  cluster         = aws_ecs_cluster.scanner[0].id
  task_definition = aws_ecs_task_definition.scanner[0].arn
  desired_count   = var.least_tasks
  launch_type     = "FARGATE"

  network_configuration {
    subnets         = var.subnet_ids
    security_groups = var.security_group_ids
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    ignore_changes = [desired_count]
  }
}

resource "aws_appautoscaling_target" "scanner" {
  count              = local.by_poller
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.scanner[0].name}/${aws_ecs_service.scanner[0].name}"
  min_capacity       = var.least_tasks
  max_capacity       = var.most_tasks
}

resource "aws_appautoscaling_policy" "backlog" {
  count              = local.by_poller
  name               = "backlog-per-task"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.scanner[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.scanner[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.scanner[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.backlog_per_task
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    customized_metric_specification {
      metrics {
        id          = "waiting"
        return_data = false
        metric_stat {
          stat = "Average"
          metric {
            namespace   = "AWS/SQS"
            metric_name = "ApproximateNumberOfMessagesVisible"
            dimensions {
              name  = "QueueName"
              value = aws_sqs_queue.events.name
            }
          }
        }
      }

      metrics {
        id          = "tasks"
        return_data = false
        metric_stat {
          stat = "Average"
          metric {
            namespace   = "ECS/ContainerInsights"
            metric_name = "RunningTaskCount"
            dimensions {
              name  = "ClusterName"
              value = aws_ecs_cluster.scanner[0].name
            }
            dimensions {
              name  = "ServiceName"
              value = aws_ecs_service.scanner[0].name
            }
          }
        }
      }

      metrics {
        id          = "backlog"
        return_data = true
        label       = "Messages for each running task"
        expression  = "waiting / IF(tasks > 0, tasks, 1)"
      }
    }
  }
}
