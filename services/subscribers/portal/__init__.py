"""The portal: everything that an incubator does itself, in the browser."""
