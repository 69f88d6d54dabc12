"""Does my model leak: what people bring, the audit, its findings and its report."""
