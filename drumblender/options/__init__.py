"""The options of verbs such as `synth` and `kad`: nothing heavy is imported, --help is quick."""
