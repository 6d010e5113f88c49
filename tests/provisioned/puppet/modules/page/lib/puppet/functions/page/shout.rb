# frozen_string_literal: true

Puppet::Functions.create_function(:'page::shout') do
  dispatch :shout do
    param 'String', :text
  end

  def shout(text)
    "#{text.upcase}!"
  end
end
