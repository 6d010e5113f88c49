# frozen_string_literal: true

require 'fileutils'

Puppet::Type.type(:flag).provide(:ruby) do
  def exists?
    File.exist?(place)
  end

  def create
    FileUtils.touch(place)
  end

  def destroy
    FileUtils.rm_f(place)
  end

  def place
    "/srv/flag-#{resource[:name]}"
  end
end
