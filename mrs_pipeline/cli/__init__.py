"""The command line `mrs`: one file a group of commands; `app` puts them together."""
