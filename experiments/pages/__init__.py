"""Pictures of the pages that a person looks at."""
