"""The demo app on a phone: built in a checkout, installed and driven through adb."""

APP = "dev.edgekit.demo"
"""Its application id."""
