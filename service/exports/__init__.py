"""The winning configuration in the words of other projects, with what those words cannot say in comments."""
