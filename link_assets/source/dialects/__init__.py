"""The APIs that can be read, each in a module of its own.

`base` says what an API has to tell, `configured` chooses one.
"""
