"""What people see, in the browser that they have."""
