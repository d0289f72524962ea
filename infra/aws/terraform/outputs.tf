output "stream_arn" {
  description = "Where producers put events: they need kinesis:PutRecords on it"
  value       = aws_kinesis_stream.this.arn
}

output "bucket_arn" {
  description = "The lake"
  value       = aws_s3_bucket.lake.arn
}

output "table" {
  description = "What Athena asks: database and table"
  value       = "${aws_glue_catalog_database.this.name}.${aws_glue_catalog_table.this.name}"
}

output "role_arn" {
  description = "What the tasks may do"
  value       = aws_iam_role.service.arn
}
