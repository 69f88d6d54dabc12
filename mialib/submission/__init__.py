"""What people bring to an audit: a model in any form, and records in any table."""
