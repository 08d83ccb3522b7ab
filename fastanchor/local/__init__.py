"""What runs only on a developer's machine: embedded servers, the supervisor, the sandbox provider."""
