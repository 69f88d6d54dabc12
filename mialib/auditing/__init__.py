"""Does my model leak: the audit, its findings and its report."""
