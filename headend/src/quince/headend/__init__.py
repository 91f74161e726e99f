"""The technical side: ingest → intervals → usage; outage beside; assets and identity under all."""
