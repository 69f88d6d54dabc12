"""The paper's attack and its rivals: from what models answer to who was in their training set."""
