"""Records: the paper's data sets, substitutes and stand-ins, and how they are split."""
