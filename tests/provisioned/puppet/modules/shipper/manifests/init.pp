# Installs, configures and enables a shipper of logs.
class shipper (
  Shipper::Ensure $ensure,
  String[1] $package_name,
  Pattern[/\A\//] $config_dir,
  Pattern[/\A\//] $defaults_file,
  Hash[String[1], Hash] $inputs,
  Hash[String[1], Hash] $outputs,
  Boolean $restart_on_change = true,
) {
  contain shipper::install
  contain shipper::config
  contain shipper::service

  Class['shipper::install'] -> Class['shipper::config']
  if $restart_on_change {
    Class['shipper::config'] ~> Class['shipper::service']
  } else {
    Class['shipper::config'] -> Class['shipper::service']
  }
}
