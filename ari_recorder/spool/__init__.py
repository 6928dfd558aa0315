"""The folder of folders in which recordings live until every target has confirmed them."""
