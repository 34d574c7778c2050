"""The same build on Spark, for logs that do not fit on one machine."""
