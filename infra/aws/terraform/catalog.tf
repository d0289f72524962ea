locals {
  # What the code generates, as it is: the table cannot drift from the spec that the writer checks by.
  table = jsondecode(file(coalesce(var.table_definition, "${path.module}/../../../schemas/ddl/attribute_events.glue.json")))
}

resource "aws_glue_catalog_database" "this" {
  name = var.database
}

resource "aws_glue_catalog_table" "this" {
  database_name = aws_glue_catalog_database.this.name
  name          = local.table.Name
  description   = local.table.Description
  table_type    = local.table.TableType
  parameters    = local.table.Parameters

  dynamic "partition_keys" {
    for_each = local.table.PartitionKeys
    content {
      name    = partition_keys.value.Name
      type    = partition_keys.value.Type
      comment = try(partition_keys.value.Comment, null)
    }
  }

  storage_descriptor {
    location      = "s3://${aws_s3_bucket.lake.bucket}/${local.table.Name}/"
    input_format  = local.table.StorageDescriptor.InputFormat
    output_format = local.table.StorageDescriptor.OutputFormat

    dynamic "columns" {
      for_each = local.table.StorageDescriptor.Columns
      content {
        name    = columns.value.Name
        type    = columns.value.Type
        comment = try(columns.value.Comment, null)
      }
    }

    ser_de_info {
      serialization_library = local.table.StorageDescriptor.SerdeInfo.SerializationLibrary
      parameters            = try(local.table.StorageDescriptor.SerdeInfo.Parameters, {})
    }
  }
}
