"""What a chapter will take, before it is run."""


def memory(name, parameters):
    return 2**31
