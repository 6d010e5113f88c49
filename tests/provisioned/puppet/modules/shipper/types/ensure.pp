type Shipper::Ensure = Enum['present', 'absent']
