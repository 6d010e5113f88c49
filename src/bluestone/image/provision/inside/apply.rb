# Puppet as an image is built with it: on no machine, where no service can run. Arguments are those of `puppet`.

require 'facter'

# Nothing of the machine that builds: the facts that there are come from a file, and from modules.
class Facter::InternalFactLoader
  def initialize(*)
    @facts = []
  end
end

require 'puppet'
require 'puppet/util/command_line'

# Services are enabled by their links alone, for which systemd need not run.
module OnlySystemd
  def suitable?(*)
    return super unless respond_to?(:resource_type) && resource_type && resource_type.name == :service

    name == :systemd
  end
end
Puppet::Provider.singleton_class.prepend(OnlySystemd)

# None is started, stopped or restarted: that is for the server to do, when it starts.
module LeftAlone
  def retrieve
    should
  end
end

module NeverRestarted
  def refresh; end
end

service = Puppet::Type.type(:service)
service.attrclass(:ensure).prepend(LeftAlone)
service.prepend(NeverRestarted)

# An error says where the resource is declared.
module Placed
  def to_s
    text = super
    return text if level != :err || !file || text.include?('(file: ')

    text + Puppet::Util::Errors.error_location_with_space(file, line)
  end
end
Puppet::Util::Log.prepend(Placed)

Puppet::Util::CommandLine.new('puppet', ARGV).execute
