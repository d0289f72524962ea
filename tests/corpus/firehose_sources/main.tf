# The dynamic partitioning example of the provider's documentation, with a stream as its source and a table of the catalog.
variable "environment" {
  type    = string
  default = "prod"
}

locals {
  name   = "orders-${var.environment}"
  prefix = "curated/orders"
}

resource "aws_s3_bucket" "bucket" {
  bucket = "acme-lake-${var.environment}"
}

resource "aws_kinesis_stream" "orders" {
  name        = local.name
  shard_count = 4
}

resource "aws_glue_catalog_table" "orders" {
  name          = "orders"
  database_name = "lake"
  table_type    = "EXTERNAL_TABLE"

  parameters = {
    classification              = "parquet"
    "projection.enabled"        = "true"
    "projection.customer_id.type" = "injected"
    "projection.day.type"       = "date"
    "projection.day.format"     = "yyyy-MM-dd"
    "projection.day.range"      = "2024-01-01,NOW+1DAYS"
  }

  storage_descriptor {
    location      = "s3://${aws_s3_bucket.bucket.bucket}/${local.prefix}/"
    input_format  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

    columns {
      name = "order_id"
      type = "string"
    }
    columns {
      name    = "amount"
      type    = "decimal(18,2)"
      comment = "in the currency of the order"
    }
    columns {
      name = "items"
      type = "array<struct<sku:string,count:int>>"
    }
    columns {
      name = "note"
      type = "varchar(200)"
    }
  }

  partition_keys {
    name = "customer_id"
    type = "string"
  }
  partition_keys {
    name = "day"
    type = "string"
  }
}

resource "aws_kinesis_firehose_delivery_stream" "extended_s3_stream" {
  name        = "${local.name}-to-lake"
  destination = "extended_s3"

  kinesis_source_configuration {
    kinesis_stream_arn = aws_kinesis_stream.orders.arn
    role_arn           = aws_iam_role.firehose_role.arn
  }

  extended_s3_configuration {
    role_arn   = aws_iam_role.firehose_role.arn
    bucket_arn = aws_s3_bucket.bucket.arn

    buffering_size     = 64
    buffering_interval = 300

    # https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning.html
    dynamic_partitioning_configuration {
      enabled        = "true"
      retry_duration = 300
    }

    prefix              = "${local.prefix}/customer_id=!{partitionKeyFromQuery:customer_id}/day=!{partitionKeyFromQuery:day}/"
    error_output_prefix = "errors/orders/!{firehose:error-output-type}/year=!{timestamp:yyyy}/month=!{timestamp:MM}/"

    processing_configuration {
      enabled = "true"

      # Multi-record deaggregation processor example
      processors {
        type = "RecordDeAggregation"
        parameters {
          parameter_name  = "SubRecordType"
          parameter_value = "JSON"
        }
      }

      # New line delimiter processor example
      processors {
        type = "AppendDelimiterToRecord"
      }

      # JQ processor example
      processors {
        type = "MetadataExtraction"
        parameters {
          parameter_name  = "JsonParsingEngine"
          parameter_value = "JQ-1.6"
        }
        parameters {
          parameter_name  = "MetadataExtractionQuery"
          parameter_value = <<-EOT
            {
              customer_id: .customer.id,
              day: .placed_at[0:10]
            }
          EOT
        }
      }
    }

    data_format_conversion_configuration {
      input_format_configuration {
        deserializer {
          open_x_json_ser_de {
            column_to_json_key_mappings = { order_id = "orderId" }
          }
        }
      }
      output_format_configuration {
        serializer {
          parquet_ser_de {
            compression = "GZIP"
          }
        }
      }
      schema_configuration {
        database_name = aws_glue_catalog_table.orders.database_name
        role_arn      = aws_iam_role.firehose_role.arn
        table_name    = aws_glue_catalog_table.orders.name
      }
    }

    s3_backup_mode = "Enabled"
    s3_backup_configuration {
      role_arn           = aws_iam_role.firehose_role.arn
      bucket_arn         = aws_s3_bucket.bucket.arn
      prefix             = "raw/orders/!{timestamp:yyyy/MM/dd}/"
      compression_format = "GZIP"
    }

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = "/aws/kinesisfirehose/orders"
      log_stream_name = "DestinationDelivery"
    }
  }

  server_side_encryption {
    enabled = false
  }

  tags = {
    Team = "data"
  }

  depends_on = [aws_iam_role_policy.firehose]
}
