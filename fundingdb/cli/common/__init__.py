"""What several verbs share: options, selections, output, progress, files."""
